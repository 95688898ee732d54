import msgspec
import pytest

from chassis.config import BadSettings, load, printable
from registry.blobs.s3 import S3Place
from registry.config import Settings

S3 = {
    "ANKA_BACKEND_TYPE": "s3",
    "ANKA_BACKEND_S3_BUCKET": "images",
    "ANKA_BACKEND_S3_PATH_STYLE": "false",
    "CORRAL_S3_ENDPOINT": "http://127.0.0.1:9000",
    "CORRAL_S3_ACCESS_KEY": "who",
    "CORRAL_S3_SECRET_KEY": "hush",
}


def test_a_bucket_is_named_by_documented_and_by_our_names():
    settings = load(Settings, S3)
    assert settings.blob_backend == "s3"
    assert settings.s3 == S3Place(
        bucket="images",
        endpoint="http://127.0.0.1:9000",
        access_key_id="who",
        secret_access_key="hush",
        path_style=False,
    )


def test_keys_are_never_printed():
    settings = load(Settings, S3)
    for text in (printable(settings), repr(settings.s3)):
        assert "hush" not in text
        assert "images" in text


def test_defaults_are_a_disk_without_quotas():
    settings = load(Settings, {})
    assert (settings.blob_backend, settings.quota_bytes) == ("disk", 0)
    assert msgspec.structs.replace(settings, blob_backend="s3").s3.bucket == "anka-registry"


@pytest.mark.parametrize("name", ["gc_interval", "gc_grace", "scrub_rate"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_what_nothing_could_work_with_is_refused_by_its_name(name, value):
    with pytest.raises(BadSettings, match=f"{name}: must be more than 0"):
        load(Settings, {f"CORRAL_{name.upper()}": value})


def test_checks_are_switched_off_by_their_interval():
    assert load(Settings, {"CORRAL_SCRUB_INTERVAL": "0"}).scrub_interval == 0
    with pytest.raises(BadSettings, match="scrub_interval: must be 0, for never, or more"):
        load(Settings, {"CORRAL_SCRUB_INTERVAL": "-1"})
