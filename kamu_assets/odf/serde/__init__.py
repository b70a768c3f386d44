"""The two wire forms of ODF documents: YAML manifests and FlatBuffers blocks."""
