// SPDX-License-Identifier: Apache-2.0
//! English words that matter at the end of sentences. NLTK has learnt its lists from newspapers of the 1980s, with many
//! names of persons and companies in them; these are the words of general use.

/// Abbreviations whose full stop ends no sentence unless the next word says so, sorted. Abbreviations that NLTK does
/// not know, such as `etc` and `e.g`, are left out: after them it ends the sentence.
const ABBREVIATIONS: [&str; 103] = [
    "a.d", "a.g", "a.m", "adm", "ala", "ariz", "aug", "ave", "b.v", "bros", "c", "calif", "co", "col", "colo", "conn",
    "corp", "cos", "ct", "d", "d.c", "dec", "dr", "e", "f", "feb", "fla", "fri", "ft", "g", "ga", "gen", "h", "ill",
    "inc", "jan", "jr", "k", "kan", "ky", "l", "l.a", "lt", "ltd", "m", "m.b.a", "maj", "messrs", "mg", "mich",
    "minn", "mr", "mrs", "ms", "n", "n.c", "n.d", "n.h", "n.j", "n.m", "n.v", "n.y", "nev", "nov", "oct", "ok",
    "okla", "ore", "p", "p.m", "pa", "ph.d", "prof", "r", "r.i", "rep", "reps", "s", "s.a", "s.c", "s.p.a", "sen",
    "sep", "sept", "sr", "st", "t", "tenn", "tues", "u.k", "u.n", "u.s", "u.s.a", "u.s.s.r", "v", "va", "vs", "vt",
    "w", "w.va", "wash", "wed", "wis",
];

/// Words that, as capitals, begin a sentence after an abbreviation or an ellipsis, sorted.
const STARTERS: [&str; 31] = [
    "although", "among", "but", "despite", "even", "he", "however", "if", "in", "indeed", "instead", "it", "many",
    "meanwhile", "nevertheless", "nonetheless", "nor", "since", "so", "some", "the", "there", "these", "they", "this",
    "though", "thus", "under", "when", "while", "yet",
];

/// Words that are written small inside sentences, sorted: as a capital, one of them begins a sentence. Those that are part
/// of many names are left out.
const COMMON: [&str; 399] = [
    "able", "above", "accept", "adding", "address", "advice", "allow", "almost", "along", "already", "always",
    "amount", "animal", "anyone", "anything", "appear", "apply", "approach", "argue", "ask", "asking", "attention",
    "author", "authors", "basic", "beat", "become", "bed", "begin", "behavior", "behind", "being", "believe",
    "benefit", "better", "between", "bit", "blood", "body", "box", "break", "brother", "build", "built", "call",
    "camera", "car", "carry", "cause", "cell", "certainly", "chair", "challenge", "chance", "character", "charge",
    "check", "choice", "choose", "claim", "cold", "compare", "condition", "consider", "contain", "copyright", "cost",
    "couple", "course", "create", "customer", "dark", "daughter", "debate", "decade", "decide", "deep", "degree",
    "describe", "detail", "determine", "develop", "difference", "different", "difficult", "direction", "discover",
    "discuss", "discussion", "doctor", "does", "doing", "done", "door", "early", "edge", "eight", "either", "else",
    "enjoy", "enough", "entire", "environment", "especially", "establish", "event", "ever", "evidence", "exactly",
    "example", "exist", "experience", "expert", "explain", "eye", "fact", "fear", "feeling", "figure", "fill",
    "final", "finally", "finish", "fish", "floor", "fly", "follow", "following", "foot", "forget", "forward",
    "friend", "girl", "given", "going", "ground", "guess", "gun", "guy", "hair", "hang", "happen", "happy", "hear",
    "heavy", "hence", "her", "here", "hers", "herself", "him", "himself", "hold", "hot", "hour", "huge", "hundred",
    "idea", "image", "imagine", "important", "improve", "include", "including", "indeed", "individual", "inside",
    "instead", "into", "involve", "item", "kid", "kill", "kitchen", "knowledge", "language", "laugh", "learn",
    "least", "likewise", "list", "listen", "lose", "lot", "maintain", "manage", "manager", "marriage", "mean",
    "member", "mention", "message", "method", "mind", "mine", "minute", "moment", "moreover", "morning", "mother",
    "mouth", "myself", "nature", "necessary", "need", "neither", "nevertheless", "nonetheless", "nor", "note",
    "nothing", "number", "occur", "officer", "opportunity", "original", "otherwise", "ours", "owner", "page", "pain",
    "participant", "particular", "partner", "pass", "patient", "per", "perform", "performance", "permission",
    "person", "phone", "physical", "pick", "piece", "play", "player", "please", "political", "position", "positive",
    "practice", "prepare", "present", "pretty", "prevent", "private", "probably", "problem", "process", "product",
    "program", "protect", "prove", "provide", "pull", "put", "question", "range", "reality", "realize", "receive",
    "recent", "recently", "recognize", "reflect", "region", "relationship", "religious", "remain", "remember",
    "remove", "represent", "require", "respond", "response", "result", "results", "reveal", "right", "safe", "same",
    "scene", "scientist", "score", "season", "section", "seem", "send", "sense", "serve", "seven", "sex", "shake",
    "shoot", "shot", "significant", "similar", "similarly", "simple", "simply", "sing", "single", "sister", "sit",
    "size", "skill", "skin", "smile", "so", "soldier", "someone", "sometimes", "soon", "sort", "source", "speak",
    "specific", "speech", "spend", "sport", "stage", "stand", "statement", "step", "still", "structure", "style",
    "success", "successful", "such", "suddenly", "suffer", "suggest", "surface", "taking", "task", "teach", "teacher",
    "team", "ten", "tend", "term", "thank", "them", "themselves", "theory", "therefore", "things", "think", "though",
    "thought", "thousand", "threat", "through", "throughout", "throw", "thus", "title", "together", "tomorrow",
    "traditional", "treat", "treatment", "true", "truth", "try", "turn", "type", "understand", "unless", "upon", "us",
    "using", "various", "very", "wait", "walk", "weapon", "wear", "weight", "were", "whether", "which", "whole",
    "whom", "wife", "win", "window", "wish", "within", "without", "words", "working", "yes", "yesterday", "yet",
    "your", "yourself",
];

/// Words that are written small inside sentences and are also part of names and titles, sorted: a capital says nothing.
const IN_NAMES: [&str; 577] = [
    "a", "about", "according", "account", "across", "act", "action", "actually", "add", "additional", "after",
    "again", "age", "agree", "agreement", "all", "also", "although", "am", "an", "and", "another", "answer", "any",
    "are", "area", "art", "as", "at", "attempt", "avoid", "award", "away", "baby", "back", "bad", "balance", "ball",
    "base", "based", "be", "bear", "beautiful", "because", "been", "before", "beginning", "below", "best", "big",
    "blue", "board", "book", "both", "bottom", "bring", "budget", "building", "business", "but", "buy", "by",
    "called", "can", "capital", "card", "care", "career", "case", "catch", "center", "central", "century", "certain",
    "change", "changes", "child", "church", "citizen", "city", "civil", "class", "clear", "clearly", "close", "code",
    "collection", "college", "color", "come", "common", "community", "company", "computer", "concern", "conference",
    "continue", "control", "could", "country", "court", "cover", "crime", "culture", "cup", "current", "cut", "data",
    "day", "dead", "deal", "death", "decision", "defense", "design", "despite", "development", "did", "dinner",
    "director", "disease", "do", "dog", "down", "drive", "drop", "drug", "during", "each", "easy", "eat", "economic",
    "economy", "education", "effect", "effort", "employees", "end", "energy", "even", "evening", "every", "everyone",
    "everything", "executive", "expect", "face", "fail", "fall", "family", "far", "fast", "father", "feel", "few",
    "field", "fight", "film", "financial", "find", "fine", "fire", "firm", "first", "five", "focus", "food", "for",
    "force", "foreign", "form", "former", "four", "free", "from", "front", "full", "fund", "further", "future",
    "game", "general", "generation", "get", "give", "glass", "go", "goal", "good", "government", "great", "green",
    "group", "grow", "growth", "had", "half", "hand", "hard", "has", "have", "having", "he", "head", "health",
    "heart", "heat", "help", "high", "his", "history", "hit", "home", "hope", "hospital", "hotel", "house", "how",
    "human", "identify", "if", "impact", "in", "increase", "indicate", "industry", "information", "interest",
    "international", "interview", "investment", "is", "issue", "it", "its", "itself", "job", "join", "just", "keep",
    "key", "kind", "know", "land", "large", "last", "late", "later", "law", "lawyer", "lay", "lead", "leader",
    "learning", "leave", "left", "leg", "legal", "less", "let", "letter", "level", "license", "life", "light", "like",
    "line", "little", "live", "local", "long", "look", "loss", "love", "low", "machine", "magazine", "main", "major",
    "make", "making", "man", "management", "many", "market", "material", "matter", "maybe", "me", "means",
    "meanwhile", "measure", "media", "medical", "meet", "meeting", "memory", "middle", "might", "miss", "mission",
    "model", "modern", "money", "month", "more", "most", "move", "movement", "movie", "much", "music", "must", "my",
    "name", "nation", "national", "natural", "near", "network", "never", "new", "news", "next", "night", "nine", "no",
    "nobody", "none", "north", "notice", "now", "of", "off", "offer", "office", "official", "often", "oil", "old",
    "on", "once", "one", "only", "open", "operation", "option", "or", "order", "organization", "other", "others",
    "our", "out", "outside", "over", "own", "paper", "parent", "part", "party", "past", "pattern", "pay", "peace",
    "people", "perhaps", "period", "picture", "place", "plan", "plant", "point", "police", "policy", "poor",
    "popular", "population", "possible", "power", "president", "pressure", "price", "produce", "production",
    "professional", "project", "property", "public", "purpose", "push", "quality", "quickly", "quite", "race",
    "radio", "raise", "rate", "rather", "reach", "read", "reading", "ready", "real", "really", "reason", "record",
    "red", "reduce", "report", "research", "resource", "responsibility", "rest", "return", "rich", "rise", "risk",
    "road", "rock", "role", "room", "rule", "run", "running", "save", "say", "school", "science", "sea", "seat",
    "second", "security", "see", "seek", "sell", "senior", "series", "serious", "service", "set", "several", "share",
    "she", "short", "should", "show", "side", "sign", "since", "site", "situation", "six", "small", "social",
    "society", "some", "something", "somewhere", "song", "sound", "south", "southern", "space", "special", "spring",
    "staff", "standard", "star", "start", "state", "station", "stay", "stock", "stop", "store", "story", "strategy",
    "street", "strong", "student", "students", "study", "stuff", "subject", "summer", "support", "sure", "system",
    "table", "take", "talk", "tax", "technology", "television", "tell", "test", "than", "that", "the", "their",
    "then", "there", "these", "they", "thing", "this", "those", "three", "time", "to", "today", "too", "top", "total",
    "tough", "toward", "town", "trade", "training", "travel", "tree", "trial", "trip", "trouble", "two", "under",
    "unit", "until", "up", "use", "usually", "value", "view", "violence", "visit", "voice", "vote", "wall", "want",
    "war", "was", "watch", "water", "way", "we", "week", "well", "west", "western", "what", "when", "where", "while",
    "white", "who", "whose", "why", "will", "wind", "with", "woman", "women", "wonder", "wood", "word", "work",
    "worker", "world", "worry", "would", "write", "wrong", "year", "years", "you", "young",
];

/// Whether a full stop after this word belongs to it. The word is in small letters, without the full stop.
pub(crate) fn is_abbreviation(word: &str) -> bool {
    ABBREVIATIONS.binary_search(&word).is_ok()
}

/// Whether this word, written with a capital, begins a sentence after an abbreviation.
pub(crate) fn starts_sentences(word: &str) -> bool {
    STARTERS.binary_search(&word).is_ok()
}

/// Whether this word is no name, though it may be part of one.
pub(crate) fn is_written_small(word: &str) -> bool {
    is_common(word) || IN_NAMES.binary_search(&word).is_ok()
}

/// Whether this word has a capital at the beginning of sentences only.
pub(crate) fn is_common(word: &str) -> bool {
    COMMON.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        for list in [ABBREVIATIONS.as_slice(), &STARTERS, &COMMON, &IN_NAMES] {
            assert!(list.is_sorted());
        }
        assert!(is_abbreviation("dr") && !is_abbreviation("etc") && starts_sentences("however") && is_common("please"));
    }
}
