"""The whole cloud on a laptop: OSS, the speech service, POP, Function Compute and a gateway, on loopback.

It is never kinder than the real services: signatures are verified, limits enforced, and what is not built answers 501.
It imports nothing of the product (`functions`, `isikit`), so that a mistake cannot hide on both sides at once.
"""
