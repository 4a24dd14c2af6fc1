import Testing

@testable import Jobs

struct RoutingWeightsTests {
    @Test func expertsCountByHowOftenTheyAreChosen() {
        let found = RoutingWeights(
            projections: [nil, "0 gate", "0 gate", "0 gate", "0 up", "0 up", "1 up", "2 up"],
            tokens: [nil, 30, 60, 0, 10, 10, nil, 0])
        #expect(found.values == [1, 1, 2, 0, 1, 1, 1, 1])
        #expect(RoutingWeights(projections: [], tokens: []).values.isEmpty)
    }
}
