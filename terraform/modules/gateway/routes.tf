locals {
  # The first part of the path of every page; a test compares them with those that the api serves.
  pages = [
    "account", "activity", "bills", "customers", "dashboard", "dead-letters", "held", "import", "month", "partner",
    "partners", "password", "people", "quarantine", "runs", "search", "settings", "static", "welcome", "what-if",
  ]
  api = [
    "ANY /leads",
    "ANY /leads/{proxy+}",
    "ANY /billing/reports",
    "ANY /billing/reports/{proxy+}",
    "ANY /api/{proxy+}",
    "GET /health",
  ]
  public_routes = coalesce(
    var.public_routes,
    concat(local.api, ["GET /"], flatten([for page in local.pages : ["ANY /${page}", "ANY /${page}/{proxy+}"]])),
  )
}
