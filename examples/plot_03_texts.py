"""
Can I use my own classifier? Texts and scikit-learn
===================================================

Networks are the default, not a condition: any scikit-learn classifier goes into any slot. Here
short requests to an assistant, in 20 intents, go through ``TfidfVectorizer`` into linear
classifiers.
"""

from itertools import product

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_pipeline

from hierlearn import HierarchicalDecompositionClassifier
from hierlearn.display import ClassDendrogramDisplay

# %%
# Requests
# --------
#
# Each intent has a few ways of asking and a few things to ask about. Intents of one kind share
# their things, and so their words. The requests are put together from these lists, so the
# accuracies below say something about the lists and little about real users.

things = {
    "money": ["my savings account", "the joint account", "my credit card", "the business account"],
    "trip": ["my flight to Rome", "the train to Bern", "our trip to Oslo", "the hotel in Lisbon"],
    "food": ["lentil soup", "a mushroom risotto", "banana bread", "a lemon tart"],
    "home": ["the kitchen light", "the heating", "the bedroom blinds", "the coffee machine"],
    "diary": ["the dentist", "our team meeting", "the parents' evening", "lunch with Noor"],
}
ways = {
    "money": {
        "balance": ["how much is left on", "tell me what is on", "is there money on"],
        "freeze": ["please freeze", "block", "lock", "stop all payments from"],
        "statement": ["show what I spent from", "list the payments from", "send a statement of"],
        "limit": ["what can I spend at most from", "raise the limit of", "is there a limit on"],
    },
    "trip": {
        "book": ["book", "I would like to reserve", "get me"],
        "cancel": ["cancel", "I cannot take", "call off"],
        "delay": ["is there a delay of", "how late is", "is everything on time for"],
        "price": ["how much is", "what do I pay for", "tell me the price of"],
    },
    "food": {
        "recipe": ["how do I make", "find a recipe for", "show me how to cook"],
        "calories": ["how many calories are in", "is it healthy to eat", "how much sugar is in"],
        "duration": ["how long does it take to make", "how long do I cook", "how late is"],
        "shopping": ["what do I buy for", "list what I need for", "order everything for"],
    },
    "home": {
        "on": ["turn on", "switch on", "start"],
        "off": ["turn off", "switch off", "stop"],
        "state": ["is it on or off:", "how is", "tell me the state of"],
        "timer": ["set a timer for", "start in an hour", "stop at ten"],
    },
    "diary": {
        "when": ["when is", "how late is", "at what time is"],
        "move": ["move", "can we put off", "make it a day later:"],
        "cancel": ["cancel", "I cannot come to", "call off"],
        "remind": ["remind me of", "do not let me forget", "set an alarm for"],
    },
}
endings = ["", "please", "now", "for tomorrow", "if you can"]
texts, intents = [], []
for kind, actions in ways.items():
    for action, openings in actions.items():
        for words in product(openings, things[kind], endings):
            texts.append(" ".join(words).strip())
            intents.append(f"{kind}: {action}")
texts, intents = np.array(texts), np.array(intents)
train, test = train_test_split(
    np.arange(len(texts)), train_size=0.12, stratify=intents, random_state=0
)
print(len(np.unique(intents)), "intents,", len(train), "training and", len(test), "test requests")
print(*texts[train[:3]], sep="\n")

# %%
# Three slots
# -----------
#
# The flat classifier, the one that names the cluster and the one within a cluster may be three
# different ones. TF-IDF stands in front of all, once. X stays sparse.

model = make_pipeline(
    TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    HierarchicalDecompositionClassifier(
        ComplementNB(),  # its held-out confusions make the clusters
        hierarchy_estimator=LogisticRegression(C=10, max_iter=300),
        fine_estimator=LogisticRegression(C=30, max_iter=300),
        routing="soft",
        random_state=0,
    ),
)
model.fit(texts[train], intents[train])
hierarchy = model[-1]
vectors, vectors_test = (model[:-1].transform(texts[part]) for part in (train, test))
flat = LogisticRegression(C=10, max_iter=300).fit(vectors, intents[train])
print(f"naive Bayes, flat   {hierarchy.base_estimator_.score(vectors_test, intents[test]):.3f}")
print(f"logistic, flat      {flat.score(vectors_test, intents[test]):.3f}")
print(f"hierarchy           {model.score(texts[test], intents[test]):.3f}")
print(hierarchy.partition_)

# %%
# What the flat classifier confuses is not what a taxonomy by kind would say: words such as
# "cancel" and "how late" go across kinds.

ClassDendrogramDisplay.from_estimator(hierarchy)

# %%
# What is it surest of, and what least?

posterior = model.predict_proba(texts[test])
sure = posterior.max(axis=1)
for row in [*np.argsort(-sure)[:2], *np.argsort(sure)[:3]]:
    guess = hierarchy.classes_[posterior[row].argmax()]
    print(f"{sure[row]:.2f}  {str(texts[test][row])!r} -> {guess} (is {intents[test][row]})")
