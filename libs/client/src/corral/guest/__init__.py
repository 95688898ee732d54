"""Builds the demo guest: a small bootable Linux made of the distribution's own packages."""

from corral.guest.build import BuiltTemplate, build_template
from corral.guest.programs import CannotBuild

__all__ = ["BuiltTemplate", "CannotBuild", "build_template"]
