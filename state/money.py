"""Money, exact: an amount in minor units and its currency.  Never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

import msgspec

# Only what differs from two decimals (ISO 4217).
_EXPONENTS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}
MINOR_MAX = 10**15


class Money(msgspec.Struct, gc=False, frozen=True, array_like=True):
    """`minor` units of `currency`: 1999 PLN is 19.99 zł, 500 JPY is ¥500."""

    minor: int
    currency: str

    @property
    def amount(self) -> Decimal:
        return Decimal(self.minor).scaleb(-exponent(self.currency))


def exponent(currency: str) -> int:
    """How many decimals a currency has."""
    return _EXPONENTS.get(currency, 2)


def money(amount: Decimal | str, currency: str) -> Money:
    """An amount as it was written.  Raises `ValueError` when it is negative, absurd or no number."""
    try:
        number = Decimal(amount) if isinstance(amount, str) else amount
        if not number.is_finite() or (number.is_signed() and number) or abs(number.adjusted()) > 30:
            raise ValueError("is not an amount of money")
        minor = int(number.scaleb(exponent(currency)).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    except InvalidOperation:
        raise ValueError("is not an amount of money") from None
    if minor > MINOR_MAX:
        raise ValueError("is more than any shop sells for")
    return Money(minor, currency)
