# prevent_destroy has to be written out and cannot depend on a variable, so it stands here, for AWS alone, on a keeper
# beside what holds data. A plan that would destroy the database or the bucket, or make one anew, has to replace its
# keeper too, and Terraform refuses the whole plan before anything happens.
resource "terraform_data" "keeper" {
  for_each = module.leadger.data_ids

  input            = each.key
  triggers_replace = each.value

  lifecycle {
    prevent_destroy = true
  }
}
