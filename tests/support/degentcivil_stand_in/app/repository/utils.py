"""Money in the database, which is another number than what a character carries."""

_gold = {}


def check_balance_and_trade(from_account_id, to_account_id, amount, from_type="agent", to_type="building"):
    have = _gold.setdefault(from_account_id, 1000)
    if amount > have:
        return {"success": 0, "response": f"the balance {have} is not enough for {amount}"}
    _gold[from_account_id] = have - amount
    _gold[to_account_id] = _gold.get(to_account_id, 1000) + amount
    return {
        "success": 1,
        "from_account_balance": _gold[from_account_id],
        "to_account_balance": _gold[to_account_id],
    }
