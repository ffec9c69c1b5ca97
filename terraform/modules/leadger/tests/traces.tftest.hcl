# Traces: off unless a collector is named; who gets which variable is looked at by tests/terraform/test_environments.py.
mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name      = "leadger-test"
  image_tag = "1.2.3"
  network   = { zones = ["eu-central-1a", "eu-central-1b"] }
}

run "off" {
  command = plan

  assert {
    condition     = length(local.traces) == 0 && length(local.traces_secrets) == 0 && local.collector == null
    error_message = "Nobody is told of a collector."
  }
}

run "in_the_vpc" {
  command = plan

  variables {
    traces = { endpoint = "http://collector.internal:4318" }
  }

  assert {
    condition = jsonencode(local.traces) == jsonencode({
      OTEL_EXPORTER_OTLP_ENDPOINT = "http://collector.internal:4318"
      OTEL_TRACES_SAMPLER         = "parentbased_traceidratio"
      OTEL_TRACES_SAMPLER_ARG     = "1"
    })
    error_message = "Every request is traced, unless its caller decided otherwise."
  }

  assert {
    condition     = local.collector == { tls = false, port = 4318 } && length(local.traces_secret_arns) == 0
    error_message = "Its port is opened; there is no secret."
  }
}

run "by_https_with_a_key" {
  command = plan

  variables {
    traces = {
      endpoint           = "https://traces.example.com/otlp"
      share              = 0.01
      headers_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:headers"
    }
  }

  assert {
    condition     = local.traces.OTEL_TRACES_SAMPLER_ARG == "0.01" && local.collector == { tls = true, port = 443 }
    error_message = "One request in a hundred, to the usual port."
  }

  assert {
    condition = (
      local.traces_secrets == tomap({ OTEL_EXPORTER_OTLP_HEADERS = var.traces.headers_secret_arn })
      && local.traces_secret_arns == tolist([var.traces.headers_secret_arn])
    )
    error_message = "The headers come from the secret."
  }
}

run "plain_http_has_a_port_too" {
  command = plan

  variables {
    traces = { endpoint = "http://10.40.3.4/v1:2" }
  }

  assert {
    condition     = local.collector == { tls = false, port = 80 }
    error_message = "A number in the path is no port."
  }
}

run "a_password_in_the_address_is_refused" {
  command = plan

  variables {
    traces = { endpoint = "https://user:word@traces.example.com" }
  }

  expect_failures = [var.traces]
}

run "a_key_in_the_query_is_refused" {
  command = plan

  variables {
    traces = { endpoint = "https://traces.example.com/?key=word" }
  }

  expect_failures = [var.traces]
}

run "an_address_without_a_scheme_is_refused" {
  command = plan

  variables {
    traces = { endpoint = "collector.internal:4317" }
  }

  expect_failures = [var.traces]
}

run "a_share_of_a_hundred_is_refused" {
  command = plan

  variables {
    traces = { endpoint = "http://collector.internal:4318", share = 100 }
  }

  expect_failures = [var.traces]
}
