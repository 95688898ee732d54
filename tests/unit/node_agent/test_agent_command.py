"""What ``corral-agent`` does without any broker."""

import json

import pytest

from node_agent.cli import app


def test_settings_are_shown_without_secrets_and_without_joining(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CORRAL_ROOT_TOKEN", "swordfish")
    words = ["join", "amqp://me:swordfish@127.0.0.1:1/", "--max-vm-count", "7", "--print-config"]
    assert app(words) == 0
    shown = capsys.readouterr().out
    assert "swordfish" not in shown
    settings = json.loads(shown)
    assert (settings["max_vm_count"], settings["rabbitmq_url"]) == (7, "***")
    assert settings["data"] == "~/.local/share/corral/agent"
