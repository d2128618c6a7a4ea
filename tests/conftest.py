pytest_plugins = ["dam_test_utils.fixtures"]
