"""Record what people say of faces, and let it count beside what the network says."""
