"""The service: `memo-dist serve`. service.py starts and ends it, front.py speaks HTTP, replica.py answers."""
