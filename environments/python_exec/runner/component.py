# SPDX-License-Identifier: Apache-2.0
"""The component: what the host calls."""

import one_thread
import runner
from standard_library import import_everything
from wit_world import exports
from wit_world.exports.runner import Finished


class Runner(exports.Runner):
    def run(self, program):
        call = program.call and (program.call.name, program.call.arguments)
        files = [(file.path, file.content) for file in program.files]
        outcome = runner.run(program.source, program.arguments, files, call)
        return Finished(outcome.status, outcome.returned)

    def call(self, function):
        outcome = runner.call(function.name, function.arguments)
        return Finished(outcome.status, outcome.returned)


import_everything()
one_thread.install()
