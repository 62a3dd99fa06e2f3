# SPDX-License-Identifier: Apache-2.0
"""`hashlib.pbkdf2_hmac` without OpenSSL, after RFC 8018."""

import hmac


def pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None):
    """Password-based key derivation with HMAC."""
    begun = hmac.new(bytes(password), digestmod=hash_name)
    length = begun.digest_size if dklen is None else dklen
    if iterations < 1 or length < 1:
        raise ValueError("the iterations and the length of the key must be positive")

    def keyed(message):
        state = begun.copy()
        state.update(message)
        return state.digest()

    key = b""
    block = 0
    while len(key) < length:
        block += 1
        last = keyed(bytes(salt) + block.to_bytes(4, "big"))
        mixed = int.from_bytes(last, "big")
        for _ in range(iterations - 1):
            last = keyed(last)
            mixed ^= int.from_bytes(last, "big")
        key += mixed.to_bytes(begun.digest_size, "big")
    return key[:length]
