"""The speech service: tokens, synthesis by two transports, recognition of one sentence.

`token` fetches and keeps speech tokens, `synthesis` holds what both transports share and the proof of a result,
`rest` and `sdk` are the transports, `recognition` turns at most 60 seconds of PCM into text.
"""
