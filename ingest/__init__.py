"""Inbound: decode, validate, quarantine and store what gateways send."""
