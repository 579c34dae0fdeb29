"""openwandb, but a line of history stands where W&B's protocol says; run by openwandb's own Python.

Every line is sent with its place in the file (``offset``), and W&B's own server writes it there, over what was there.
openwandb adds it at the end, and tells nobody who goes on with a run that it has begun, and how many lines there are.
Who begins a run anew under its id is told none: W&B documents that it overwrites what was there.

While there is a file ``deaf`` in its folder, the server takes the last of a run, and answers with an error.
"""

import json
from pathlib import Path

from fastapi import HTTPException
from openwandb import cli, file_stream, graphql_schema
from openwandb import database as db

LINES = """
CREATE TABLE IF NOT EXISTS lines (run_id TEXT, place INTEGER, step INTEGER, line TEXT, PRIMARY KEY (run_id, place))
"""
take, tell, begun = file_stream.process_file_stream, graphql_schema._run_to_type, graphql_schema.UpsertBucketPayload


def take_by_place(entity, project, run_id, payload, user_id=None):
    history = payload.get("files", {}).get("wandb-history.jsonl", {})
    with db.get_db() as connection:
        connection.execute(LINES)
        for place, line in enumerate(history.get("content", []), start=history.get("offset", 0)):
            here = (run_id, place)
            for (step,) in connection.execute("SELECT step FROM lines WHERE run_id = ? AND place = ?", here):
                connection.execute("DELETE FROM metrics WHERE run_id = ? AND step = ?", (run_id, step))
            entry = (*here, json.loads(line)["_step"], line)
            connection.execute("INSERT OR REPLACE INTO lines VALUES (?, ?, ?, ?)", entry)
    answer = take(entity, project, run_id, payload, user_id=user_id)
    if payload.get("complete") and Path("deaf").exists():
        raise HTTPException(503)
    return answer


def tell_how_far(run):
    told = tell(run)
    with db.get_db() as connection:
        connection.execute(LINES)
        rows = connection.execute("SELECT line FROM lines WHERE run_id = ? ORDER BY place", (run["run_id"],)).fetchall()
    told.history_line_count = len(rows)
    told.history_tail = json.dumps([line for (line,) in rows[-1:]])
    told.events_tail = "[]"
    told._config_json = json.dumps({**json.loads(told._config_json), "t": {}})  # by which wandb knows that it has begun
    return told


def begin_anew(bucket, **more):
    bucket.history_line_count = 0
    return begun(bucket=bucket, **more)


file_stream.process_file_stream = take_by_place
graphql_schema._run_to_type, graphql_schema.UpsertBucketPayload = tell_how_far, begin_anew
cli.main()
