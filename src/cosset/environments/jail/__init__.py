"""The `jail` tier: namespaces, cgroups, a seccomp filter, a uid of its own. Read tier.py; host.py for the doctor."""
