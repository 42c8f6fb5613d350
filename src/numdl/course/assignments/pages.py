"""Pages of the course that assignments lead to, by number."""

PAGES = {
    "1.2": "What does a graph know without labels?",
    "1.4": "How fast is downhill?",
    "1.5": "Why is the exact fit useless?",
    "1.7": "When should an iteration stop?",
    "1.8": "Who chooses alpha?",
    "1.11": "Why cross entropy?",
    "1.12": "Is my derivative right?",
    "1.13": "How far should a step go?",
    "2.6": "Where do the derivatives of a layer come from?",
    "2.7": "Which matrices may a layer be?",
    "2.8": "What is left when the head is eliminated?",
    "2.11": "Why does SGD stop getting better?",
    "3.1": "Is a residual network a differential equation?",
    "3.2": "Which steps keep an orbit?",
    "3.8": "Discretise first, or differentiate first?",
    "3.10": "What does depth cost in memory?",
    "3.12": "Can every layer be trained for itself?",
    "3.15": "Can all layers be computed at once?",
}
