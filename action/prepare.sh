# Makes a virtual environment for flakegate, once in a job, and says where its Python is.
# Nothing is installed anywhere else, and nothing of the caller's environment is changed.
set -euo pipefail

fail() {
  printf '::error title=flakegate::%s\n' "$1"
  exit 2
}

# What belongs to the caller's Python must not reach this one; a package index may stay.
unset VIRTUAL_ENV PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV
unset PIP_PYTHON PIP_CONSTRAINT PIP_NO_DEPS UV_PYTHON UV_PROJECT_ENVIRONMENT UV_SYSTEM_PYTHON

folder=${RUNNER_TEMP:?}/flakegate
venv=$folder/venv
python_in() {
  if [ -d "$1/Scripts" ]; then echo "$1/Scripts/python.exe"; else echo "$1/bin/python"; fi
}

# The dependencies alone are installed. flakegate itself is run from where the action's tag is
# checked out, so that there is nothing to build.
requirements() {
  tr -d '\r' <"$GITHUB_ACTION_PATH/pyproject.toml" |
    sed -n '/^dependencies = \[/,/^]/s/^ *"\(.*\)",$/\1/p'
}

is_new_enough() { "$@" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }

find_python() { # names a Python that is new enough, if there is one
  for found in python3 python "py -3"; do
    # shellcheck disable=SC2086 # "py -3" is two words
    if is_new_enough $found; then
      $found -c 'import sys; print(sys.executable)' | tr -d '\r'
      return
    fi
  done
}

if [ "$(cat "$venv/of" 2>/dev/null)" != "$GITHUB_ACTION_PATH" ]; then
  rm -rf "$venv"
  mkdir -p "$folder"
  requirements >"$folder/requirements.txt"
  host=$(find_python)
  if command -v uv >/dev/null; then
    uv venv --quiet --no-project --no-config --python "${host:->=3.10}" "$venv" ||
      fail "no virtual environment could be made with uv; add actions/setup-python before flakegate"
    uv pip install --quiet --no-config --python "$(python_in "$venv")" \
      --requirement "$folder/requirements.txt" ||
      fail "flakegate's dependencies could not be installed with uv; can this runner reach a package index?"
  else
    [ -n "$host" ] ||
      fail "flakegate needs Python 3.10 or newer; add actions/setup-python before this step"
    if "$host" -m pip --python "$host" --version >/dev/null 2>&1; then
      # The runner's pip installs into the new environment, which so needs none of its own.
      "$host" -m venv --without-pip "$venv" ||
        fail "no virtual environment could be made with $host; add actions/setup-python"
      pip=("$host" -m pip --python "$(python_in "$venv")")
    else
      "$host" -m venv "$venv" ||
        fail "no virtual environment could be made with $host; add actions/setup-python"
      pip=("$(python_in "$venv")" -m pip)
    fi
    "${pip[@]}" install --quiet --quiet --no-compile --no-input --disable-pip-version-check --no-warn-script-location \
      --requirement "$folder/requirements.txt" ||
      fail "flakegate's dependencies could not be installed; can this runner reach a package index?"
  fi
  python=$(python_in "$venv")
  packages=$("$python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))' | tr -d '\r')
  printf '%s\n' "$GITHUB_ACTION_PATH" >"$packages/flakegate.pth"
  printf '%s\n' "$GITHUB_ACTION_PATH" >"$venv/of" # last: half an environment is made anew
fi

printf 'python=%s\n' "$(python_in "$venv")" >>"$GITHUB_OUTPUT"

# Where the history is Datadog's, or in a store of its own, there is nothing to fetch or keep.
history=true
if [ "${FLAKEGATE_INPUT_BACKEND:-}" = datadog ] || [ "${FLAKEGATE_INPUT_MODE:-}" = record ] ||
  [ -n "${FLAKEGATE_INPUT_STORE:-}${FLAKEGATE_STORE:-}" ]; then
  history=false
elif [ -z "${FLAKEGATE_INPUT_BACKEND:-}" ] && [ -n "${DD_API_KEY:-}${DD_ACCESS_TOKEN:-}" ]; then
  history=false
fi
printf 'history=%s\n' "$history" >>"$GITHUB_OUTPUT"
