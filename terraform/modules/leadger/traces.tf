# The standard variables of OpenTelemetry for those who make spans: api, workers and beat. Without them there are no traces.
locals {
  traces = var.traces == null ? {} : {
    OTEL_EXPORTER_OTLP_ENDPOINT = var.traces.endpoint
    OTEL_TRACES_SAMPLER         = "parentbased_traceidratio"
    OTEL_TRACES_SAMPLER_ARG     = tostring(var.traces.share)
  }

  # The key that a collector may ask for stands in the headers, so they come from a secret, which Terraform never reads.
  traces_headers     = try(var.traces.headers_secret_arn, null)
  traces_secrets     = local.traces_headers == null ? {} : { OTEL_EXPORTER_OTLP_HEADERS = local.traces_headers }
  traces_secret_arns = values(local.traces_secrets)

  collector = var.traces == null ? null : {
    tls  = startswith(var.traces.endpoint, "https://")
    port = tonumber(try(regex("^[a-z]+://[^/]+:([0-9]+)", var.traces.endpoint)[0], startswith(var.traces.endpoint, "https://") ? "443" : "80"))
  }
}
