"""What a history of deliveries says of receivers that could not be reached."""

import os
import socket
import ssl

import pytest

from event_pusher.sender import _told


def unverified() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] … (_ssl.c:1006)")
    error.verify_message = "self-signed certificate"
    return error


def no_tls() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] … (_ssl.c:1006)")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionResetError(), "it closed the connection"),
        (ConnectionRefusedError(111, "Connect call failed ('::1', 9)"), os.strerror(111)),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (unverified(), "its certificate does not hold: self-signed certificate"),
        (no_tls(), "no TLS with it: wrong version number"),
        (UnicodeError("label empty or too long"), "the name of its host is not valid"),
        (OSError("no answer"), "no answer"),
    ],
)
def test_it_is_told_in_words(error, told):
    assert _told(error) == told
