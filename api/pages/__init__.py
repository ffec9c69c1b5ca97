"""The pages that people work with in a browser: routes, templates and what they look like."""
