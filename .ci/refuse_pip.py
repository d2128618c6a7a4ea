"""What pip meets at the workspace root: a PEP 517 backend that builds nothing and names the commands that work."""

MESSAGE = """
This folder is a uv workspace of several packages, not a package that pip can install. Use one of
  python3 -m pip install uv && python3 -m uv sync
  python3 -m pip install -e packages/dam -e packages/dam_fs -e packages/dam_media_audio -e packages/dam_media_image \\
    -e packages/dam_media_video -e packages/dam_app
"""


def _refuse(*_: object, **__: object) -> str:
    raise SystemExit(MESSAGE)


build_wheel = build_sdist = build_editable = _refuse
get_requires_for_build_wheel = get_requires_for_build_sdist = get_requires_for_build_editable = _refuse
prepare_metadata_for_build_wheel = prepare_metadata_for_build_editable = _refuse
