"""Everything outside Mist: Docker, Git, Traefik, the host.

Plain Python: no models, no ORM, no Celery. Only this package imports docker, git or subprocess.
`get_engine()` hands out the implementation that the setting `MIST_ENGINE` names, the way
`EMAIL_BACKEND` does for mail: `apps.engine.real` in production, `apps.engine.fake` in fast tests.
"""
