import MantelTestSupport
import Testing

/// All lab tests: one lab at a time, for each wants the processors to itself.
@Suite(.lab, .serialized, .timeLimit(.minutes(LabScale.of(5, long: 60))))
struct LabTests {}
