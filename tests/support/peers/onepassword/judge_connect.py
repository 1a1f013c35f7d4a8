"""1Password's own client for Connect servers, onepasswordconnectsdk, asks the stand-in at the address that is given.

Each line that it prints is one question and what the client made of the answer: a value, or an error.
"""

import sys

import onepasswordconnectsdk
from onepasswordconnectsdk.client import new_client


def ask(name, question):
    try:
        print(f"{name}: {question()}")
    except Exception as error:  # whatever the client makes of an answer is its judgement
        # The client breaks its lines where its source does.
        print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())}")


def main():
    client = new_client(sys.argv[1], "connect-token")
    vault = client.get_vault_by_title("Prod").id
    item = client.get_item("postgres", vault)
    ask("vaults", lambda: [one.name for one in client.get_vaults()])
    ask("vault by id", lambda: client.get_vault(vault).name)
    ask("items", lambda: [one.title for one in client.get_items(vault)])
    ask("item by id", lambda: [(one.label, one.value) for one in client.get_item_by_id(item.id, vault).fields])
    ask("item by title", lambda: client.get_item_by_title("postgres", vault).title)
    ask("files", lambda: [(one.name, one.size) for one in client.get_files(item.id, vault)])
    ask("file", lambda: client.get_file_content(client.get_files(item.id, vault)[0].id, item.id, vault))
    ask("two items of a title", lambda: client.get_item("twice", vault))
    ask("no such item", lambda: client.get_item("nope", vault))
    ask("no such vault", lambda: client.get_items("0" * 26))
    ask("vault of others", lambda: client.get_items(sys.argv[2]))
    ask(
        "load_dict",
        lambda: onepasswordconnectsdk.load_dict(
            client, {"token": {"opitem": "postgres", "opfield": "admin.token", "opvault": vault}}
        ),
    )
    ask("bad token", lambda: new_client(sys.argv[1], "other").get_vaults())


if __name__ == "__main__":
    main()
