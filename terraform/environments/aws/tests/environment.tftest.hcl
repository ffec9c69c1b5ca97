# Run once per size: terraform test -var-file=smallest.tfvars, terraform test -var-file=production.tfvars.
# tests/terraform reads the resulting plan and looks at the sizes and protections in it. It stays a plan: what is made
# here could not be cleared away again, because its keepers refuse.
mock_provider "aws" {
  override_during = plan
  source          = "../../modules/leadger/tests/mocks"
}

variables {
  image_tag = "1.2.3"
}

run "environment" {
  command = plan

  assert {
    condition     = toset(keys(terraform_data.keeper)) == toset(["database", "report_files"])
    error_message = "The database and the report files each have a keeper that refuses their destruction."
  }

  assert {
    condition     = terraform_data.keeper["database"].triggers_replace == module.leadger.data_ids.database
    error_message = "The keeper goes with its database."
  }

  assert {
    condition     = module.leadger.cluster_name == "leadger-${var.environment}"
    error_message = "Everything is named after the environment."
  }
}
