"""Before the first request: the settings' keys into the store, and a first key where one is needed
and there is none."""

from __future__ import annotations

from tricorn import logs
from tricorn.access import secret
from tricorn.access.terms import Terms
from tricorn.errors import StartupError, StorageUnavailable
from tricorn.settings.config import Settings
from tricorn.storage.keys import KeyStore

log = logs.get("manager")


def prepare(settings: Settings, store: KeyStore) -> str | None:
    """What people are to be told of a key that was made; None: none was.

    StartupError where the keys cannot be kept: nobody could be told from anybody.
    """
    configure(settings, store)
    try:
        if not settings.requires_key() or settings.jwt_secret is not None or store.all(live=True):
            return None
        return _made(settings, store)
    except (StorageUnavailable, OSError) as error:
        raise _cannot_be_kept(settings, error) from error


def configure(settings: Settings, store: KeyStore) -> None:
    """The keys of the settings are these from now on. StartupError where they cannot be kept."""
    try:
        store.configure([key.get_secret_value() for key in settings.api_keys])
    except StorageUnavailable as error:
        raise _cannot_be_kept(settings, error) from error


def _cannot_be_kept(settings: Settings, error: Exception) -> StartupError:
    return StartupError(f"API keys cannot be kept in {settings.data_dir}: {error}")


def _made(settings: Settings, store: KeyStore) -> str:
    key, text = store.create("admin", Terms(permissions=("all",)))
    path = settings.data_dir / secret.ADMIN_KEY_FILE
    path.unlink(missing_ok=True)
    secret.write_private(path, f"{text}\n")
    log.info("an admin key was made", key=key.id, kept_in=str(path))
    return (
        f"\n  API key  {text}\n"
        f"           Requests need it: there was no other key. It is shown this once,\n"
        f"           and kept in {path}; further ones: tricorn keys create NAME"
    )
