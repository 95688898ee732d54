"""The metrics of the public Prometheus exporter, served without it, from the projection.

Names, labels and meaning are the exporter's, so that dashboards made for it go on working. All are
gauges; sums of utilisation over nodes are sums there, and so here.
"""
