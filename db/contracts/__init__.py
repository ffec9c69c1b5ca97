"""Contracts: billing terms by period, when billing begins, who sells, and usage."""
