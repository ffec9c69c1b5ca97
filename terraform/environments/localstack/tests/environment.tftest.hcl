# tests/terraform reads the resulting state and looks at how everything in it is wired.
mock_provider "aws" {
  source = "../../modules/leadger/tests/mocks"
}

run "environment" {
  assert {
    condition     = module.leadger.cluster_name == "leadger-local"
    error_message = "Everything is named leadger-local."
  }
}
