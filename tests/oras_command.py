"""``oras push`` and ``oras pull`` as the Go program has them, done by the Python client."""

import argparse

from oras.client import OrasClient


def main() -> None:
    """Only the options that our documentation uses; anything else is an error."""
    parser = argparse.ArgumentParser(prog="oras")
    parser.add_argument("verb", choices=["push", "pull"])
    parser.add_argument("--plain-http", action="store_true")
    parser.add_argument("--config")
    parser.add_argument("--output")
    parser.add_argument("target")
    parser.add_argument("files", nargs="*")
    given = parser.parse_intermixed_args()
    client = OrasClient(insecure=given.plain_http)
    if given.verb == "push":
        client.push(given.target, files=given.files, manifest_config=given.config)
    else:
        client.pull(given.target, outdir=given.output)


if __name__ == "__main__":
    main()
