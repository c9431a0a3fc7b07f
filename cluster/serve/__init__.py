"""The service: `memo-dist serve`. service.py starts and ends it, replicas.py asks its replicas, replica.py answers."""
