"""Traffic that was recorded or written down elsewhere, as the `[[traffic]]` of a test file.

One way only, each may import those named before it: headers, shell_words; request; har, curl,
vegeta, access_log; table; traffic; described; the subpackages openapi and k6.
"""
