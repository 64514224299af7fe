"""Teachers that facetag did not fit: public-domain networks whose knowledge training may use."""
