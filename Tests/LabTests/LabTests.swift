import MantelTestSupport
import Testing

/// All lab tests: one lab at a time, for each wants the processors to itself.
@Suite(.lab, .serialized, .timeLimit(.minutes(5)))
struct LabTests {}
