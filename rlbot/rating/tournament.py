"""A tournament of the versions of a bot, other bots and the anchors: the schedule, the ratings and their plot."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlbot.bots import StateBot
from rlbot.policy import Bot
from rlbot.rating.bradley_terry import ANCHORS, Games, fit
from rlbot.rating.matches import Pairing, Player, Results

Rows = list[dict[str, Any]]
_SURPRISE = 3.0  # standard errors; exceeded by chance in one of 370 pairings


def named(versions: Sequence[Bot], others: Sequence[Bot | StateBot]) -> dict[str, Player]:
    """All players by name, the anchors last."""
    players: dict[str, Player] = {}
    for bot, own in [*((bot, True) for bot in versions), *((bot, False) for bot in others)]:
        name = bot.name if own or isinstance(bot, StateBot) else f"{_run_of(bot)}/{bot.name}"
        copies = sum(known == name or known.startswith(f"{name} (") for known in players)
        players[f"{name} ({copies + 1})" if copies else name] = bot
    return {**players, "random": "random", "idle": "idle"}


def _run_of(bot: Bot) -> str:
    return (bot.path.parent.parent if bot.path.parent.name == "checkpoints" else bot.path.parent).name


def schedule(num_versions: int, num_players: int, matches: int, max_matches: int, seed: int = 0) -> list[Pairing]:
    """The pairings, each of `matches` matches. All players meet, except the two anchors.

    If that is more than `max_matches`, these meet: neighbouring versions, every bot and both anchors, the others and
    the newest version, and pairings drawn from the rest. If even these are too many, every pairing has fewer matches,
    but at least 2. Players are numbered: versions by age, then others, then the 2 anchors.
    """
    bots, anchors = range(num_players - 2), range(num_players - 2, num_players)
    others = range(num_versions, num_players - 2)
    everything = [(a, b) for a, b in itertools.combinations(range(num_players), 2) if a in bots]
    affordable = max_matches // matches
    if len(everything) <= affordable:
        return [Pairing(a, b, matches) for a, b in everything]
    needed = [(i, i + 1) for i in range(num_versions - 1)]
    needed += [(num_versions - 1, other) for other in others]
    needed += [(bot, anchor) for bot in bots for anchor in anchors]
    rest = sorted(set(everything) - set(needed))
    extra = np.random.default_rng(seed).permutation(len(rest))[: max(affordable - len(needed), 0)]
    chosen = sorted([*needed, *(rest[i] for i in extra.tolist())])
    each = min(matches, max(max_matches // len(chosen), 2))
    return [Pairing(a, b, each) for a, b in chosen]


def games(names: Sequence[str], pairings: Sequence[Pairing], results: Sequence[Results]) -> list[Games]:
    """The outcomes of all pairings, for `fit`."""
    return [
        Games(names[pairing.first], names[pairing.second], *result.outcomes)
        for pairing, result in zip(pairings, results, strict=True)
    ]


def standing(players: Mapping[str, Player], played: Sequence[Games]) -> tuple[Rows, Rows]:
    """A row for each player, best first, and a row for each pairing: its score and the score that ratings expect."""
    ratings = fit(played)
    record = {name: Counter[str]() for name in players}
    pairs: Rows = []
    for each in played:
        record[each.first] += Counter(wins=int(each.wins), draws=int(each.draws), losses=int(each.losses))
        record[each.second] += Counter(wins=int(each.losses), draws=int(each.draws), losses=int(each.wins))
        score = (each.wins + each.draws / 2) / each.matches
        expected, low, high = ratings.expected(each.first, each.second)
        surprise = (score - expected) / np.sqrt(expected * (1 - expected) / each.matches)
        pairs.append(
            {
                **each._asdict(),
                "score": score,
                "expected": expected,
                "expected_interval": (low, high),
                "surprise": float(surprise),  # (score - expected), in standard errors
            }
        )
    rows: Rows = []
    for name, player in players.items():
        low, high = ratings.interval(name)
        rows.append(
            {
                "name": name,
                "role": _role(name, player),
                "timesteps": player.timesteps if isinstance(player, Bot) else None,
                "rating": ratings[name],
                "error": ratings.error(name),
                "interval": (low, high),
                **{key: record[name][key] for key in ("wins", "draws", "losses")},
            }
        )
    return sorted(rows, key=lambda row: -row["rating"]), pairs


def _role(name: str, player: Player) -> str:
    """What a player is called in the tables; the names are those of `named`."""
    if name in ANCHORS:
        return "anchor"
    return "other" if isinstance(player, StateBot) or "/" in name else "version"


def table(rows: Rows, pairs: Rows) -> list[str]:
    """The ratings as lines of text, and the pairings whose score is far from what the ratings expect."""
    width = max(len(row["name"]) for row in rows) + 2
    lines = [f"  {'player':{width}}{'rating':>8}{'95%':>18}{'won':>7}{'drew':>7}{'lost':>7}"]
    for row in rows:
        low, high = row["interval"]
        interval = "fixed" if row["role"] == "anchor" else f"{low:+.0f} to {high:+.0f}"
        results = "".join(f"{row[key]:>7}" for key in ("wins", "draws", "losses"))
        lines.append(f"  {row['name']:{width}}{row['rating']:>+8.0f}{interval:>18}{results}")
    odd = sorted((pair for pair in pairs if abs(pair["surprise"]) > _SURPRISE), key=lambda pair: -abs(pair["surprise"]))
    for pair in odd[:5]:
        lines.append(
            f"  unlike its rating: {pair['first']} scored {pair['score']:.2f} against {pair['second']}, "
            f"expected {pair['expected']:.2f}"
        )
    return lines


def draw(rows: Rows, path: Path) -> None:
    """Write a PNG of the ratings over timesteps, with their 95% intervals."""
    from matplotlib.figure import Figure  # imported here, as it takes a second; without pyplot no display is needed

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    styles: dict[str, dict[str, Any]] = {"version": {"marker": "o"}, "other": {"marker": "s", "linestyle": "none"}}
    for role, style in styles.items():
        trained = [row for row in rows if row["role"] == role and row["timesteps"] is not None]
        chosen = sorted(trained, key=lambda row: row["timesteps"])
        if not chosen:
            continue
        x, y = [row["timesteps"] for row in chosen], [row["rating"] for row in chosen]
        spread = np.array(
            [(row["rating"] - row["interval"][0], row["interval"][1] - row["rating"]) for row in chosen]
        ).T
        axes.errorbar(x, y, spread, capsize=3, label=f"{role}s, 95% interval", **style)
    for row in rows:
        if row["role"] == "other" and row["timesteps"] is None:
            axes.axhline(row["rating"], color="tab:red", linewidth=1, label=f"{row['name']} ({row['rating']:+.0f})")
    for row, dashes in zip((row for row in rows if row["role"] == "anchor"), ("--", ":"), strict=True):
        axes.axhline(
            row["rating"], color="gray", linestyle=dashes, label=f"{row['name']} ({row['rating']:+.0f}, fixed)"
        )
    axes.set(xlabel="timesteps", ylabel="rating (400 points: odds of 10 to 1)", title="Rating over training")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120, format="png")
