"""Conversations that every chat template is tried on."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather_at",
        "description": "The weather at a place & time, <now> by default.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "Where, as \"town, country\""},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["place"],
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {"name": "clock", "description": "What time it is.", "parameters": {"type": "object", "properties": {}, "required": []}},
}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


def call(name, arguments, number):
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": arguments}}


CALLING = [
    user("Is it warm in Ingolstadt?"),
    assistant("", tool_calls=[call("weather_at", {"place": "Ingolstadt, Bavaria", "days": [0, 1]}, 1)]),
    {"role": "tool", "tool_call_id": "call00001", "name": "weather_at", "content": "{\"temperature\": 11.5, \"sky\": \"grey\"}"},
]

# name -> variables, without the special tokens that all of them get.
CONVERSATIONS = {
    "hello": {"messages": [user("Hello, who are you?")], "add_generation_prompt": True},
    "system": {"messages": [system("You are a naturalist."), user("What is a glacier?")], "add_generation_prompt": True},
    "turns": {"messages": [user("First."), assistant("Answer one."), user("Second."), assistant("Answer two."), user("Third?")], "add_generation_prompt": True},
    "system turns": {
        "messages": [system("Be brief.\n\nBe kind."), user("  spaces around  "), assistant(" kept or not \n"), user("And\n\nnow?\n")],
        "add_generation_prompt": True,
    },
    "finished": {"messages": [system("S"), user("U"), assistant("A")], "add_generation_prompt": False},
    "unicode": {"messages": [user("Größe, naïve, 北京, 🙂 and \u201cquotes\u201d <b>&amp;</b> 'single' \"double\"")], "add_generation_prompt": True},
    "thinking": {
        "messages": [user("2+2?"), assistant("<think>\nTwo and two.\n</think>\n\nFour."), user("Twice that?")],
        "add_generation_prompt": True,
    },
    "reasoning": {
        "messages": [user("2+2?"), assistant("Four.", reasoning_content="Two and two."), user("Twice that?")],
        "add_generation_prompt": True, "enable_thinking": False,
    },
    "enabled thinking": {"messages": [system("Think."), user("Why?")], "add_generation_prompt": True, "enable_thinking": True},
    "tools": {"messages": [user("Is it warm in Ingolstadt?")], "tools": [WEATHER, CLOCK], "add_generation_prompt": True},
    "tools system": {"messages": [system("Use tools."), user("What time is it?")], "tools": [CLOCK], "add_generation_prompt": True},
    "calling": {"messages": CALLING, "tools": [WEATHER, CLOCK], "add_generation_prompt": True},
    "answered": {"messages": CALLING + [assistant("It is 11.5 degrees."), user("Thanks!")], "tools": [WEATHER], "add_generation_prompt": True},
    "called": {"messages": CALLING[:2], "tools": [WEATHER], "add_generation_prompt": False},
    "two calls": {
        "messages": [
            user("Time and weather?"),
            assistant(None, tool_calls=[call("clock", {}, 1), call("weather_at", {"place": "Geneva", "unit": "celsius"}, 2)]),
            {"role": "tool", "tool_call_id": "call00001", "name": "clock", "content": "14:05"},
            {"role": "tool", "tool_call_id": "call00002", "name": "weather_at", "content": "rain"},
        ],
        "tools": [WEATHER, CLOCK], "add_generation_prompt": True,
    },
    "parts": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Part one."}, {"type": "text", "text": "Part two."}]}],
        "add_generation_prompt": True,
    },
    "documents": {
        "messages": [user("What does it say?")], "documents": [{"title": "Letter 1", "text": "You will rejoice to hear", "doc_id": 1, "contents": "x"}],
        "add_generation_prompt": True,
    },
    "functions": {"messages": [system("S"), user("Call it.")], "functions": "[{\"name\": \"f\"}]", "datetime": "2026-07-26 14:05", "add_generation_prompt": True},
    "wrong order": {"messages": [assistant("I begin."), assistant("And go on.")], "add_generation_prompt": True},
    "odd role": {"messages": [{"role": "narrator", "content": "It was a dreary night."}], "add_generation_prompt": True},
    "nobody": {"messages": [], "add_generation_prompt": True},
}
SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def variables(name):
    return {**SPECIAL_TOKENS, **CONVERSATIONS[name]}
