"""The endpoints: a file for each, listed in ENDPOINTS of memo_dist/http/app.py."""
