#!/usr/bin/env python3
"""medians.py FIGURES PEERS : a table of thousand rows per CPU-second, medians of all runs of a query; of millstream and of peers. Below
it, for each peer: how many times as fast as it millstream is."""
import collections
import json
import statistics
import sys


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def main():
    speeds, memory = collections.defaultdict(list), collections.defaultdict(int)
    for run in lines(sys.argv[1]):
        who = f"millstream, {run['source']} to {run['sink']}"
        speeds[who, run["bench"]].append(run["rows_per_cpu_second"] / 1000)
        memory[who] = max(memory[who], run["peak_rss_bytes"] / 2**20)
    for run in lines(sys.argv[2]):
        who = run["peer"]
        speeds[who, run["q"]].append(run["rows"] / max(run["cpu_s"], 0.01) / 1000)
        memory[who] = max(memory[who], run.get("peak_rss_mb", 0))
    queries = list(dict.fromkeys(query for _, query in speeds))
    print("| thousand rows per CPU-second | " + " | ".join(queries) + " | max RSS MiB |")
    print("|---" * (len(queries) + 2) + "|")
    for who in dict.fromkeys(who for who, _ in speeds):
        cells = [f"{statistics.median(speeds[who, q]):.0f}" if (who, q) in speeds else "-" for q in queries]
        print(f"| {who} | " + " | ".join(cells) + f" | {memory[who]:.0f} |")
    ours = [who for who in dict.fromkeys(who for who, _ in speeds) if who.startswith("millstream, ")]
    peers = [who for who in dict.fromkeys(who for who, _ in speeds) if who not in ours]
    for who in ours:
        for peer in peers:
            both = [(who, q) in speeds and (peer, q) in speeds for q in queries]
            ratios = (statistics.median(speeds[who, q]) / statistics.median(speeds[peer, q]) if there else None
                      for q, there in zip(queries, both))
            cells = [f"{ratio:.2f}" if ratio else "-" for ratio in ratios]
            print(f"| {who} / {peer} | " + " | ".join(cells) + " | |")


if __name__ == "__main__":
    main()
