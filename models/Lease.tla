------------------------------- MODULE Lease -------------------------------
(* Binding and leases inside a zone (n=4, f=1): a host, its successor, clocks
   that run wrong.  Three correct anchors; the Byzantine one acknowledges
   every heartbeat and votes for every bind, so it is counted and not shown.
   Slot 1 is to decide the bind of the successor; slot 2 is the successor's
   first step.  Whoever does not vote may be voting for a late
   step of the old host: what that does to the slot is Decree.tla's.
   A tick is the same real time for all; on each a clock goes on by 1 (slow)
   or 2 (fast), as it likes: 1.5 is true, rho = 1/3, D is in units of a clock.
   Nothing else takes time, and anything may wait for any time: a host that
   is paused does nothing while the clocks go on.                            *)
EXTENDS Naturals, FiniteSets, TLC
CONSTANTS Anchors, D, MaxRound,
   HostTicks, AnchorTicks,  \* by how much a clock may go on in a tick: slow or fast
   NoHostMargin,    \* BUG: the host counts D by its own clock, not D(1-rho)
   NoAnchorMargin,  \* BUG: the anchor counts D by its own clock, not D(1+rho)
   FromReceipt,     \* BUG: the host counts from when the acknowledgement came, not from when the heartbeat left
   NoWaitAtStart,   \* BUG: an anchor that restarted takes the leases it forgot for expired
   RenewsOpenBind,  \* BUG: an anchor renews the old host while a bind it voted for is open
   RenewsNextRound, \* BUG: it does so once the round it voted in was left
   VolatileVote,    \* BUG: what is withheld is forgotten at a restart
   RenewsBehind,    \* BUG: it does so once a later slot is open, though it has not heard what the bind's slot decided
   StopsInSuspend,  \* BUG: the host's clock stands still while its machine is suspended
   BindsLive        \* BUG: an anchor votes for a bind while the bound host's lease runs
None == 99
Rounds == 0..MaxRound
HostLen   == IF NoHostMargin THEN D ELSE (2 * D) \div 3
AnchorLen == IF NoAnchorMargin THEN D ELSE (4 * D) \div 3
Two(S) == Cardinality(S) >= 2                 \* with the Byzantine one: a quorum
VARIABLES beat,   \* age of the old host's newest heartbeat, by its clock
          acked,  \* acked[a] = age of the newest heartbeat that a acknowledged to it
          left,   \* left[a]  = for how long a takes the old host's lease to run
          round, locks, commits,   \* of slot 1, at each anchor: current round; rounds in which it voted for the bind
          forgot, \* anchors that restarted and lost what was withheld
          bound,  \* anchors that applied the bind
          later   \* anchors at which slot 2 is open, shown by a lock certificate
vars == <<beat, acked, left, round, locks, commits, forgot, bound, later>>
Init == /\ beat = None /\ acked = [a \in Anchors |-> None] /\ left = [a \in Anchors |-> 0]
        /\ round = [a \in Anchors |-> 0]
        /\ locks = [a \in Anchors |-> {}] /\ commits = [a \in Anchors |-> {}]
        /\ forgot = {} /\ bound = {} /\ later = {}
Lock(r)  == Two({a \in Anchors : r \in locks[a]})
Decided  == \E r \in Rounds : Two({a \in Anchors : r \in commits[a]})
NewActs  == Two(bound)                        \* a quorum grants it: from now on, for ever
OldActs  == Two({a \in Anchors : acked[a] < HostLen})
\* --- the old host, and what an anchor grants it (§6.2 to §6.5)
Beat == /\ beat # 0 /\ beat' = 0
        /\ UNCHANGED <<acked, left, round, locks, commits, forgot, bound, later>>
Withheld(a) == \/ /\ locks[a] # {} /\ a \notin forgot /\ ~RenewsOpenBind
                  /\ (RenewsNextRound => round[a] \in locks[a])
                  /\ (RenewsBehind => a \notin later)
               \/ a \in later /\ ~RenewsBehind
Renew(a) == /\ beat < HostLen /\ a \notin bound /\ ~Withheld(a)
            /\ left' = [left EXCEPT ![a] = AnchorLen]
            /\ acked' = [acked EXCEPT ![a] = beat]
            /\ UNCHANGED <<beat, round, locks, commits, forgot, bound, later>>
Receive(a) == /\ FromReceipt /\ acked[a] # None /\ acked' = [acked EXCEPT ![a] = 0]
              /\ UNCHANGED <<beat, left, round, locks, commits, forgot, bound, later>>
\* --- the bind of its successor
LockVote(a, r) == /\ a \notin bound /\ a \notin later /\ r >= round[a] /\ r \notin locks[a]
                  /\ \/ left[a] = 0 \/ BindsLive
                     \/ \E s \in Rounds : s < r /\ Lock(s)   \* with a lock shown, leases are not judged again
                  /\ locks' = [locks EXCEPT ![a] = @ \cup {r}] /\ round' = [round EXCEPT ![a] = r]
                  /\ UNCHANGED <<beat, acked, left, commits, forgot, bound, later>>
CommitVote(a, r) == /\ a \notin bound /\ a \notin later /\ r >= round[a] /\ r \notin commits[a] /\ Lock(r)
                    /\ commits' = [commits EXCEPT ![a] = @ \cup {r}] /\ round' = [round EXCEPT ![a] = r]
                    /\ UNCHANGED <<beat, acked, left, locks, forgot, bound, later>>
Leave(a) == /\ a \notin bound /\ a \notin later /\ round[a] < MaxRound /\ round' = [round EXCEPT ![a] = @ + 1]
            /\ UNCHANGED <<beat, acked, left, locks, commits, forgot, bound, later>>
Apply(a) == /\ Decided /\ a \notin bound /\ bound' = bound \cup {a}
            /\ UNCHANGED <<beat, acked, left, round, locks, commits, forgot, later>>
ShowLater(a) == /\ NewActs /\ a \notin bound /\ a \notin later /\ later' = later \cup {a}
                /\ UNCHANGED <<beat, acked, left, round, locks, commits, forgot, bound>>
\* --- time, and what is lost at a restart
Older(age, by) == IF age = None \/ age + by < HostLen THEN IF age = None THEN None ELSE age + by
                  ELSE IF FromReceipt THEN HostLen ELSE None
Tick == \E h \in IF StopsInSuspend THEN {0} \cup HostTicks ELSE HostTicks, c \in [Anchors -> AnchorTicks] :
        /\ beat' = IF beat = None \/ beat + h >= HostLen THEN None ELSE beat + h
        /\ acked' = [a \in Anchors |-> Older(acked[a], h)]
        /\ left' = [a \in Anchors |-> IF left[a] > c[a] THEN left[a] - c[a] ELSE 0]
        /\ UNCHANGED <<round, locks, commits, forgot, bound, later>>
Restart(a) == /\ left' = [left EXCEPT ![a] = IF NoWaitAtStart THEN 0 ELSE AnchorLen]
              /\ forgot' = IF VolatileVote THEN forgot \cup {a} ELSE forgot
              /\ UNCHANGED <<beat, acked, round, locks, commits, bound, later>>
Next == \/ Beat \/ Tick
        \/ \E a \in Anchors : \/ Renew(a) \/ Receive(a) \/ Restart(a)
                              \/ Leave(a) \/ Apply(a) \/ ShowLater(a)
                              \/ \E r \in Rounds : LockVote(a, r) \/ CommitVote(a, r)
Spec == Init /\ [][Next]_vars
OneActs == ~(OldActs /\ NewActs)
Sym == Permutations(Anchors)
=============================================================================
