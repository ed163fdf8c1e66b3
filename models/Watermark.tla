----------------------------- MODULE Watermark -----------------------------
(* An anchor whose store may have been put back to an older copy (§13.5).
   n=4, f=1: the anchor itself, two correct peers, and a Byzantine one that
   answers what it likes.  Its votes are numbered; whoever votes under a number
   again votes for something else.  A peer sees a vote in a certificate, or
   never; what it has seen it writes when `Every` votes went by since.        *)
EXTENDS Naturals, FiniteSets, TLC
CONSTANTS Peers, MaxVote, Every,
   VotesAtOnce,   \* BUG: votes before anybody has answered
   AskOne,        \* BUG: votes once one peer has answered
   NothingKept,   \* BUG: what peers have seen is in their memory alone
   TakesAWord     \* BUG: a peer's answer is a number, not the vote itself
VARIABLES cast,     \* the highest number this key ever voted under
          counter,  \* the highest in the anchor's store
          copy,     \* the highest in the copy of its store
          lost,     \* the highest vote that was forgotten when the copy was put back, 0 = none
          seen, kept, had,   \* of each correct peer: in its memory, on its disk; and what it ever saw, of before `lost'
          answers,  \* who answered since the start
          state,    \* "up", "asking" or "retired"
          twice     \* numbers voted under twice
vars == <<cast, counter, copy, lost, seen, kept, had, answers, state, twice>>
Zero == [p \in Peers |-> 0]
Max(a, b) == IF a > b THEN a ELSE b
Init == /\ cast = 0 /\ counter = 0 /\ copy = 0 /\ lost = 0
        /\ seen = Zero /\ kept = Zero /\ had = Zero
        /\ answers = {} /\ state = "up" /\ twice = {}
Liar == "liar"
Quorum == Cardinality(answers) >= 2          \* with itself: q = 3
Vote == /\ state = "up" /\ counter < MaxVote
        /\ counter' = counter + 1 /\ cast' = Max(cast, counter + 1)
        /\ twice' = IF counter + 1 <= lost THEN twice \cup {counter + 1} ELSE twice
        /\ UNCHANGED <<copy, lost, seen, kept, had, answers, state>>
See(p) == /\ seen[p] < counter
          /\ \E n \in (seen[p] + 1)..counter :
             /\ seen' = [seen EXCEPT ![p] = n]
             /\ kept' = [kept EXCEPT ![p] = IF n >= @ + Every /\ ~NothingKept THEN n ELSE @]
             /\ had' = [had EXCEPT ![p] = IF lost = 0 THEN n ELSE @]
          /\ UNCHANGED <<cast, counter, copy, lost, answers, state, twice>>
Copy == /\ lost = 0 /\ copy < counter /\ copy' = counter
        /\ UNCHANGED <<cast, counter, lost, seen, kept, had, answers, state, twice>>
Start(n) == /\ counter' = n /\ answers' = {} /\ state' = IF VotesAtOnce THEN "up" ELSE "asking"
            /\ UNCHANGED <<cast, copy, seen, kept, had, twice>>
Restart == state # "retired" /\ Start(counter) /\ UNCHANGED lost
PutBack == lost = 0 /\ copy < counter /\ Start(copy) /\ lost' = counter
PeerStarts(p) == /\ seen[p] # kept[p] /\ seen' = [seen EXCEPT ![p] = kept[p]]
                 /\ UNCHANGED <<cast, counter, copy, lost, kept, had, answers, state, twice>>
Shows(n) == IF n > counter THEN "retired" ELSE "asking"
Answer(p) == /\ state = "asking" /\ p \notin answers
             /\ answers' = answers \cup {p} /\ state' = Shows(seen[p])
             /\ UNCHANGED <<cast, counter, copy, lost, seen, kept, had, twice>>
Lie == /\ state = "asking" /\ Liar \notin answers /\ answers' = answers \cup {Liar}
       \* it may show any vote that was cast, or none; and say any number, if that is believed
       /\ \E n \in 0..(IF TakesAWord THEN MaxVote + 1 ELSE cast) : state' = Shows(n)
       /\ UNCHANGED <<cast, counter, copy, lost, seen, kept, had, twice>>
Begin == /\ state = "asking"
         /\ \/ Quorum
            \/ AskOne /\ answers # {}
         /\ state' = "up" /\ UNCHANGED <<cast, counter, copy, lost, seen, kept, had, answers, twice>>
Next == \/ Vote \/ Copy \/ Restart \/ PutBack \/ Lie \/ Begin
        \/ \E p \in Peers : See(p) \/ PeerStarts(p) \/ Answer(p)
Spec == Init /\ [][Next]_vars
\* A number is used twice only if no more than f correct peers had seen a vote of it or later, but for the newest few.
Noticed == \A n \in twice : Cardinality({p \in Peers : had[p] >= n + Every - 1}) <= 1
\* An anchor with the store of its last vote is never retired, whatever a liar says.
NotByLies == state = "retired" => counter < cast
Sym == Permutations(Peers)
=============================================================================
