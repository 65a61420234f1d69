"""The workstation tool that makes models fit: recipe in, artefact, manifest and report out."""
