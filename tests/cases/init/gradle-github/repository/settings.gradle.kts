include("api", "app")
