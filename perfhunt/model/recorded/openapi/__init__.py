"""Descriptions of an API (OpenAPI 3, Swagger 2) as the requests that can be sent with them.

One way only, each may import those named before it: document; schema; parameters, body, security;
operations.
"""
