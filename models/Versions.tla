------------------------------ MODULE Versions ------------------------------
(* The slots of one agent in one zone, one after the other (n=4, f=1).  Three
   correct anchors; the Byzantine one signs everything, so it is counted in
   every quorum, and whoever proposes lies.  Each anchor holds what the code
   holds: a head, and one open slot with its round, its votes of that round
   and its lock.  It may miss any decision and learn of it late.
   A value of slot v is the chain that leads to it, of length v.
   In a slot of `Shown` a proposal shows the certificate of its parent (an
   admission or a refusal shows the departure that followed the zone's last
   refusal, and so proves it); in the others the parent is the head here.    *)
EXTENDS Naturals, Sequences, FiniteSets, TLC
CONSTANTS Honest, Bits, Slots, MaxRound, Shown,
   First, FirstRound,   \* bits and highest round of all slots but the last
   DropsOnAny,     \* BUG: any decision that is applied drops the open slot (trap 55)
   GoesBack,       \* BUG: an earlier slot that is asked for replaces the open one
   VotesBlind,     \* BUG: votes for a value whose parent it does not know
   AppliesUnproved,\* BUG: applies what it is shown without a certificate
   Forgets,        \* BUG: a restarted anchor has lost its open slot
   VotesTwice,     \* BUG: asked for another value in a round it voted in, it votes again
   NoLockRule,     \* BUG: its lock does not keep it from another value
   NamesShownOnly  \* BUG: a vote for the value of its own lock names no lock, unless one is shown
VARIABLES head,      \* head[a]  = the newest chain decided, as a knows it
          open,      \* open[a]  = the slot that is open at a, 0 = none
          round, lv, cv, lockR, lockV,   \* of the open slot: lv, cv = voted for in this round
          castL, castC,  \* what was signed: castL[a], castC[a] = pairs of round and value
          names          \* names[a] = <<round, value, lock named>>, the last a round + 1, 0 = none
own == <<open, round, lv, cv, lockR, lockV>>
vars == <<head, own, castL, castC, names>>
None == <<>>                        \* no vote, no lock (no slot has a value of length 0)
Rounds == 0..MaxRound
LockQC(r, x) == Cardinality({a \in Honest : <<r, x>> \in castL[a]}) >= 2       \* 2 correct + 1 Byzantine = q
Decided(x)   == x = <<>> \/ \E r \in Rounds : Cardinality({a \in Honest : <<r, x>> \in castC[a]}) >= 2
Values(v) == {x \in [1..v -> Bits] : \A i \in 1..v : i < Slots => x[i] \in First}
Last(v) == IF v < Slots THEN FirstRound ELSE MaxRound
Parent(x) == SubSeq(x, 1, Len(x) - 1)
Init == /\ head = [a \in Honest |-> <<>>] /\ open = [a \in Honest |-> 0]
        /\ round = [a \in Honest |-> 0]
        /\ lv = [a \in Honest |-> None] /\ cv = [a \in Honest |-> None]
        /\ lockR = [a \in Honest |-> 0] /\ lockV = [a \in Honest |-> None]   \* lockR = round + 1, 0 = none
        /\ castL = [a \in Honest |-> {}] /\ castC = [a \in Honest |-> {}] /\ names = [a \in Honest |-> {}]
\* The open slot of a once it deals with slot v in round r, as a record: kept, moved on, or replaced by a later one.
State(a, v, r) ==
  IF open[a] = v /\ round[a] = r
  THEN [lv |-> lv[a], cv |-> cv[a], lr |-> lockR[a], lo |-> lockV[a]]
  ELSE [lv |-> None, cv |-> None, lr |-> IF open[a] = v THEN lockR[a] ELSE 0,
        lo |-> IF open[a] = v THEN lockV[a] ELSE None]
May(a, v, r) == /\ Len(head[a]) < v                       \* not decided here
                /\ open[a] <= v \/ GoesBack               \* no later slot is open
                /\ open[a] = v => r >= round[a]
Becomes(a, v, r, s) == /\ open' = [open EXCEPT ![a] = v] /\ round' = [round EXCEPT ![a] = r]
                       /\ lv' = [lv EXCEPT ![a] = s.lv] /\ cv' = [cv EXCEPT ![a] = s.cv]
                       /\ lockR' = [lockR EXCEPT ![a] = s.lr] /\ lockV' = [lockV EXCEPT ![a] = s.lo]
Knows(a, x) == \/ Parent(x) = head[a]
               \/ Len(x) \in Shown /\ Decided(Parent(x))
               \/ VotesBlind
LockVote(a, r, x) ==
  /\ May(a, Len(x), r)                       \* and it knows the parent
  /\ LET v == Len(x)  s == State(a, v, r) IN
     /\ s.lv = None \/ (VotesTwice /\ s.lv # x)
     /\ \E j \in {0} \cup {q + 1 : q \in {q \in Rounds : q < r /\ LockQC(q, x)}} :   \* a lock shown, or 0
        /\ s.lo = None \/ s.lo = x \/ j > s.lr \/ NoLockRule
        /\ LET held == IF s.lo = x /\ ~NamesShownOnly THEN s.lr ELSE 0 IN
           names' = [names EXCEPT ![a] = @ \cup {<<r, x, IF held > j THEN held ELSE j>>}]
     /\ castL' = [castL EXCEPT ![a] = @ \cup {<<r, x>>}]
     /\ Becomes(a, v, r, [s EXCEPT !.lv = x])
  /\ UNCHANGED <<head, castC>>
CommitVote(a, r, x) ==
  /\ May(a, Len(x), r)                       \* and a lock certificate for x in r is shown
  /\ LET v == Len(x)  s == State(a, v, r) IN
     /\ s.cv = None
     /\ Becomes(a, v, r, [s EXCEPT !.cv = x, !.lr = r + 1, !.lo = x])
  /\ castC' = [castC EXCEPT ![a] = @ \cup {<<r, x>>}]
  /\ UNCHANGED <<head, castL, names>>
Enter(a, v, r) ==       \* shown that round r-1 of v was left; it may have seen nothing of the slot before
  /\ May(a, v, r) /\ (open[a] # v \/ r > round[a])
  /\ \E b \in Honest : open[b] = v /\ (b = a \/ round[b] >= r)
  /\ Becomes(a, v, r, State(a, v, r))
  /\ UNCHANGED <<head, castL, castC, names>>
Closed(a) == Becomes(a, 0, 0, [lv |-> None, cv |-> None, lr |-> 0, lo |-> None])
Apply(a, x) == /\ Len(x) > Len(head[a]) /\ head' = [head EXCEPT ![a] = x]
               /\ IF open[a] <= Len(x) \/ DropsOnAny THEN Closed(a) ELSE UNCHANGED own
               /\ UNCHANGED <<castL, castC, names>>
Restart(a) == Forgets /\ open[a] > 0 /\ Closed(a) /\ UNCHANGED <<head, castL, castC, names>>
All == UNION {Values(v) : v \in 1..Slots}
Agreed == {x \in All : Decided(x)}
Next == LET proved == IF AppliesUnproved THEN All ELSE Agreed
            locked == {t \in Rounds \X All : LockQC(t[1], t[2])} IN
        \E a \in Honest :
          \/ \E x \in proved : Apply(a, x)
          \/ \E t \in locked : CommitVote(a, t[1], t[2])
          \/ \E x \in All : Knows(a, x) /\ \E r \in 0..Last(Len(x)) : LockVote(a, r, x)
          \/ \E v \in 1..Slots : \E r \in 0..Last(v) : Enter(a, v, r)
          \/ Restart(a)
Spec == Init /\ [][Next]_vars
Agreement == \A x, y \in Agreed : Len(x) = Len(y) => x = y
Chain     == /\ \A x \in Agreed : Decided(Parent(x))
             /\ \A a \in Honest : Decided(head[a])
\* What a fraud proof may say of nobody honest (§11.5): (a) two votes of one phase and round; (b) a lock vote for
\* another value than it commit-voted for before, that names no lock of a round since.
Twice(S) == \E s, t \in S : s # t /\ s[1] = t[1] /\ Len(s[2]) = Len(t[2])
NeverTwice  == \A a \in Honest : ~Twice(names[a]) /\ ~Twice(castC[a])
NeverBlamed == \A a \in Honest : \A c \in castC[a], l \in names[a] :
                 Len(c[2]) = Len(l[2]) /\ c[2] # l[2] /\ l[1] > c[1]
                   => l[3] > c[1] + 1 /\ l[3] <= l[1] + 1 /\ LockQC(l[3] - 1, l[2])
Sym == Permutations(Honest)
=============================================================================
