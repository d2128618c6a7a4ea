"""Revisions of the plugin's tables; 'dam-cli db revision' writes the next one."""
